"""The daemon that opens ports for subscribers: PCP (RFC 6887) and NAT-PMP (RFC 6886), RFC 6888's REQ-9.

A forwarding is a mapping entry of the subscriber's socket, with the lifetime that was asked for, whose global
socket stands in the set `forwarded` of its pool. The kernel's sets are the only store.
"""
