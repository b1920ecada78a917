"""What the HTTP API returns."""
