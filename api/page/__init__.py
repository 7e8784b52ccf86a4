"""The live page: templates, assets and the headers they are sent with."""
