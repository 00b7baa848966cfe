"""The running gateway seen through the site: the state that may stay, owners of blocks, sessions, usage."""
