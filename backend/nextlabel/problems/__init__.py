"""What a question asks of people and what their answers come to.

Owns the sense of labels; refuses models, Label Studio's JSON and disks.
"""
