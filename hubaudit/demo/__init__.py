"""`hubaudit demo`: a stand-in Hub on loopback and the sample repositories that it serves."""
