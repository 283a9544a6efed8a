"""Floor 6: cases. Anomalies of one cause, anomaly type and responsible group, followed until the source is fixed.

Belongs here: what becomes of a case each night, what people may do with it, whose it is and by when, and handing its
members to who fixes the source. Does not belong here: what is an anomaly and what became of it (``quality_analysis``),
telling people (``anomaly_alert``).
"""
