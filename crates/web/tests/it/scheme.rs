//! A `Secure` cookie and what is known of https.

use crate::world::World;
use sessile::TrustProxy;

type Headers = &'static [(&'static str, &'static str)];

#[tokio::test]
async fn a_secure_cookie_goes_out_only_where_https_is_believed() {
    let forwarded: Headers = &[("x-forwarded-proto", "https")];
    let cases: [(TrustProxy, Headers, bool); 5] = [
        (TrustProxy::AssumeHttps, &[], true),
        (TrustProxy::No, &[], false),
        (TrustProxy::No, forwarded, false),
        (TrustProxy::Yes, &[], false),
        (TrustProxy::Yes, forwarded, true),
    ];
    for (trust, headers, sent) in cases {
        let world = World::with(|b| b.with_trust_proxy(trust));
        let answer = world.send("POST", "/set/a/1", None, headers).await;
        assert_eq!(answer.cookie().is_some(), sent, "{trust:?} {headers:?}");
        assert_eq!(answer.body, "set", "the answer itself is not touched");
        let open = World::with(|b| b.with_trust_proxy(trust).with_secure(false));
        assert!(open.send("POST", "/set/a/1", None, headers).await.cookie().is_some());
    }
}
