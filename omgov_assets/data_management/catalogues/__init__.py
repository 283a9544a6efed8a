"""Catalogues of real tools: reading their metric definitions, importing them through the gate, comparing two of them.

One module per tool turns that tool's own files into entries and findings; nothing in it knows Delta or the gate.
"""
