from hubaudit.pipeline import audit, require, scan
