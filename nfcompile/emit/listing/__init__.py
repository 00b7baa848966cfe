"""What nft lists -> the values that `lower` makes: its JSON, and single keys and data in its own spelling.

Read, never sent: nft does not load all of its own JSON again.
"""

from nfcompile.emit.listing.spelled import read_key
from nfcompile.emit.listing.tables import Listed, read_listing, read_table
from nfcompile.emit.listing.values import UnknownListing

__all__ = ["Listed", "UnknownListing", "read_key", "read_listing", "read_table"]
