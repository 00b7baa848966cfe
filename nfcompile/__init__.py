"""nfcompile: an nftables configuration compiler for NAT gateways."""

__version__ = "0.1.0"
