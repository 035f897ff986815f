"""What a table must look like, as plain data: `suite` checks a profile, `infer` learns from a good one."""
