"""OpenTelemetry traces (OTLP/HTTP): spans of calls to models become reports."""
