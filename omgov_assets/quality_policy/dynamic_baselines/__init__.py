"""Dynamic baselines: the band of normal values of each metric instance, learned day by day, and what falls out of it.

``slots`` says how a day is divided, ``learning`` makes a day's partition of ``quality/dynamic_baselines`` of the
samples and of the partitions before it, ``bands_in_force`` says which band holds on a day, ``scoring`` finds the faults
of points. Does not belong here: the expectation that asks for them (``dynamic_baseline_expectation``), the firm's
constants (``model_management.baseline_rules``).
"""
