"""Sending a call that costs money once: what every task does that starts something at the service and must not start it twice."""
