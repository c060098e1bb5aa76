"""`python -m analytics` is `douane-analytics`."""

import sys

from analytics.cli import main

sys.exit(main())
