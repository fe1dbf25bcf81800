"""`python -m backend` was the command of release 0.1.0."""

import sys

sys.exit(f"python -m backend is now: nextlabel {' '.join(sys.argv[1:]) or 'serve'}")
