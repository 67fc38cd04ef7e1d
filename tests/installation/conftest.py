"""What is published, installed as people do. Collected only where it was made: `make installed` sets ENGRAM_DIST."""

import os

collect_ignore_glob = [] if os.environ.get("ENGRAM_DIST") else ["*"]
