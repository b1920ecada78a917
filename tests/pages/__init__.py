"""The page in headless Chromium, over the real local stack."""
