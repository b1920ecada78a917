"""The only modules that know `azure.*`; each translates its service's errors to `shared.domain.errors` in one place."""
