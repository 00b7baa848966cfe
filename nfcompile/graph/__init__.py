"""A picture of the packet's way: what a site does to a first packet, as boxes; and their forms.

`way` makes the boxes from the model, `mermaid` and `svg` write them. The same site gives the same bytes.
"""
