"""The commands of the command line, a module each.

Owns parsing and printing; refuses logic, which lies in the wings.
"""
