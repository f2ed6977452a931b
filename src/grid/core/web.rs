//! Requests, each to whoever answers it.

use super::{Core, Reply, RequestId};
use crate::net::server::Request;
use crate::tamper::Channel;

impl Core {
    /// Answers a request, now or later.
    pub(super) fn request(&mut self, id: RequestId, request: &Request) {
        if let Some(reply) = self.route(id, request) {
            // What it says has happened is on the disk before it is said.
            self.when_kept(move |core, kept| {
                let failed = || Reply::status(reply.channel, reply.name, 500);
                core.answer(id, if kept { reply } else { failed() });
            });
        }
    }

    /// The answer to a request; none if it comes later.
    fn route(&mut self, id: RequestId, request: &Request) -> Option<Reply> {
        if request.method == "OPTIONS" {
            let mut reply = Reply::status(Channel::Http, "", 200);
            reply.headers = vec![
                ("access-control-allow-origin", "*".into()),
                ("access-control-allow-methods", "GET, POST, DELETE, PUT, OPTIONS".into()),
                ("access-control-allow-headers", "Content-Type".into()),
            ];
            return Some(reply);
        }
        if let Some(cap) = request.path.strip_prefix("/CAPS/") {
            let (cap, path) = cap.split_once('/').unwrap_or((cap, ""));
            return self.capability(id, cap, path, request);
        }
        Some(match self.routes.path(&request.method, &request.path) {
            Some(answer) => answer(self, request),
            None => {
                self.notices.nothing_at(&request.method, &request.path);
                Reply::status(Channel::Http, "", 404)
            }
        })
    }
}
