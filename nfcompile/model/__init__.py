"""What the operator said, as frozen values. Knows nothing of nft."""
