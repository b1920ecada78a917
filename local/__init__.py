"""Everything that stands in for Azure on a laptop. Never deployed; never imports the app's `shared` package."""
