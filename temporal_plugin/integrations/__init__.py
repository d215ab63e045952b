"""The only folder that knows a host."""
