//! Where a request comes from: what limits by address count.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::web;
use ipnet::IpNet;
use xingfuma_app::limits::Address;

use crate::State;

/// The caller's address on the network; none where the socket has none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CalledFrom(pub(crate) Option<Address>);

impl actix_web::FromRequest for CalledFrom {
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<CalledFrom, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(CalledFrom(address(request))))
    }
}

/// The caller's address on the network, behind proxies that are trusted; none where the socket has none.
pub fn address(request: &HttpRequest) -> Option<Address> {
    let peer = request.peer_addr()?.ip();
    let trusted = request.app_data::<web::Data<State>>().map(|state| state.trusted_proxies.clone());
    let forwarded = request.headers().get("x-forwarded-for").and_then(|value| value.to_str().ok());
    Some(Address(caller(peer, forwarded, trusted.as_deref().unwrap_or_default())))
}

/// The last address in the chain that is no trusted proxy. What stands before it is anybody's word.
fn caller(peer: IpAddr, forwarded: Option<&str>, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut address = peer.to_canonical();
    for said in forwarded.unwrap_or_default().rsplit(',') {
        if !is_trusted(&address) {
            break;
        }
        let Ok(before) = said.trim().parse::<IpAddr>() else { break };
        address = before.to_canonical();
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: &str, forwarded: &str) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        caller(peer.parse().unwrap(), Some(forwarded), &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(found("203.0.113.9", "1.2.3.4"), "203.0.113.9");
        assert_eq!(found("10.1.1.1", "1.2.3.4"), "1.2.3.4");
        assert_eq!(found("::ffff:10.1.1.1", "1.2.3.4"), "1.2.3.4");
        assert_eq!(found("10.1.1.1", "9.9.9.9, 1.2.3.4, 10.2.2.2"), "1.2.3.4");
        assert_eq!(found("10.1.1.1", ""), "10.1.1.1");
        assert_eq!(found("10.1.1.1", "1.2.3.4, nonsense"), "10.1.1.1");
    }
}
