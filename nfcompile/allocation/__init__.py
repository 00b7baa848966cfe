"""Who gets what, computed: pools, numbering, lookup, mappings, ownership, moves, capacity."""
