"""How addresses of other programs are written."""

RAY_ADDRESS = (
    r"ray://[^\s/@:?#]+:[0-9]{1,5}"  # the client port of a cluster's head; tokens come with Ray's own variables
)
