"""Steward pages: today's report, rankings down to single anomalies, cases and acts on them, admission, policies.

Pages are made on the server, in the firm's languages, without script. Everything that they show comes through the door
of ``access_control``: a page is a function of what its reader may see. Does not belong here: what is counted and how
(``quality_analysis``), what may be done to a case (``exception_management``).
"""

from pathlib import Path

HERE = Path(__file__).parent
