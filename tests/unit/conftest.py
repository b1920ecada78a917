from __future__ import annotations

import hypothesis

# Slow machines run these too: how long one example takes is not what they test.
hypothesis.settings.register_profile("unit", deadline=None, max_examples=60)
hypothesis.settings.load_profile("unit")
