"""OpenTelemetry's protocol: spans as they come over HTTP, in protobuf and in JSON."""
