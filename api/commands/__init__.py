"""The commands of ``laconic``, grouped by what they work on; ``api.cli`` puts them together."""
