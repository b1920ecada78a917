"""An event comes in: read, merged into its recording, enqueued."""
