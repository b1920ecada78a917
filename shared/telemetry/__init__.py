"""Traces and metrics: a port, what is measured, and OpenTelemetry behind it."""
