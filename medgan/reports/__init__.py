"""Reports that a person can judge: report.html and its figures."""
