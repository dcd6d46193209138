"""The browser tracker: its script (`t.js`, built into `t.min.js`) and how it is served."""

from mainstem.site.tracker.tracker import Answer, Asset, answer, tracker_asset

__all__ = ["Answer", "Asset", "answer", "tracker_asset"]
