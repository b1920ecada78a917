"""Local substitutes for Azure. Never deployed; never imports the app's `shared` package."""
