"""Foreign configurations -> one intermediate form -> a site; one reader a kind, the same passes for all.

Every line of the input ends in the account with one fate. Knows nothing of nft.
"""
