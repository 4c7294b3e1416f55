"""What `edge doctor` looks at, one module a subject. Each probe is a function from a `Machine` to findings."""
