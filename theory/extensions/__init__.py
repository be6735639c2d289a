"""Beyond the paper: several hidden neurons, gradient descent of finite steps, times to learn."""
