# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m qmisniff`."""

import sys

from qmisniff.cli import main

sys.exit(main())
