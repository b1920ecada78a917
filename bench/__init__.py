"""What the product costs and what else a user could pick, measured side by side. `make bench`; docs/performance.md."""
