"""The site as frozen values, in the words of site.yaml. Knows nothing of nft."""
