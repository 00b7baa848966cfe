"""Who gets what, computed: what pools serve and have, bindings and their owners, moves, capacity."""
