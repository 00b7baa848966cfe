"""What several tests share: sites, the command, packets, and the laboratory that the kernel tests run in.

Test modules import from here and never from one another (`tests/test_rooms.py`); fixtures are in conftest.py.
"""
