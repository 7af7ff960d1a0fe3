// The theme that was chosen, before the first paint; else the system's. A classic script, because a module would run after it.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is blocked: the system's theme.
}
