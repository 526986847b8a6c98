"""Finish: recounts a job from storage and writes its result.

Outcome parts come in; the final objects and `result.json` go to storage.
Read `finish_step` first, then `final_objects`.
"""
