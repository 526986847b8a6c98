// Messages for screen readers, and short visible messages.

/** Have screen readers say `text`. */
export function announce(text) {
  const region = document.getElementById("announcements");
  region.textContent = "";
  // A region is read again only if its text changes after it was empty.
  setTimeout(() => (region.textContent = text), 50);
}
