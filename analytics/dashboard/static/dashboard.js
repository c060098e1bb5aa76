// Replaces the live part of the page every few seconds, unless the page is hidden or the reader has it in hand.
// The server escaped the fragment; nothing here builds markup from data.
const live = document.getElementById("live");

async function refresh() {
  if (document.hidden || live.contains(document.activeElement) || !getSelection().isCollapsed) return;
  try {
    const answer = await fetch(live.dataset.fragment, { headers: { accept: "text/html" } });
    if (answer.status === 401) return location.reload(); // the session ended: the server leads to the log-in
    if (answer.ok) live.innerHTML = await answer.text();
    document.body.classList.toggle("stale", !answer.ok);
  } catch {
    document.body.classList.add("stale");
  }
}

if (live) setInterval(refresh, Number(live.dataset.everyMs));
