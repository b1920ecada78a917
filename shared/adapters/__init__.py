"""The only modules that know `azure.*`; each translates its service's errors to `shared.errors` in one place."""
