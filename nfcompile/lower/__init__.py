"""Site words -> nft words: one file for each thing that a gateway does. Finds no faults."""

from nfcompile.lower.host_timeouts import sysctls
from nfcompile.lower.npt import npt_table
from nfcompile.lower.table import lower

__all__ = ["lower", "npt_table", "sysctls"]
