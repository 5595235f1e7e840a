//! The directory's rows: what stands in the store, apart from what the contract says.
//!
//! Rows have structs of their own, so that a new field in the contract's model never changes
//! bytes that are on disk. Each row begins with its version; golden bytes guard version 1.

use base::{AccountId, Address, Error, Result, Timestamp, wire};
use bytes::Bytes;
use contract_directory::{
    Account, AccountKind, Actor, Attribute, Attributes, AuditRecord, Domain, DomainKind, Dynamic,
    Forwarding, Group, GroupId, MailFlow, Party, Quota, RemovedAccount, Restrictions, Role,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The version that is written.
const VERSION: u8 = 1;

/// A row that knows how to be stored.
pub(crate) trait Row: Serialize + DeserializeOwned {
    /// The bytes to store.
    ///
    /// # Errors
    /// [`base::Kind::Internal`].
    fn to_bytes(&self) -> Result<Bytes> {
        wire::encode_row(VERSION, self)
    }

    /// Reads what was stored; `key` names the row in the error.
    ///
    /// # Errors
    /// [`base::Kind::Corrupt`].
    fn from_bytes(key: &[u8], bytes: &[u8]) -> Result<Self> {
        wire::decode_row(VERSION, bytes)
            .map_err(|e| Error::corrupt(format!("row {}: {e}", key.escape_ascii())))
    }
}

/// Local part and domain.
type AddressParts = (String, String);

fn parts(address: &Address) -> AddressParts {
    (address.local.clone(), address.domain.clone())
}

fn address((local, domain): AddressParts) -> Address {
    Address { local, domain }
}

/// An account.
#[derive(Serialize, Deserialize)]
pub(crate) struct AccountRow {
    id: u64,
    kind: AccountKind,
    address: AddressParts,
    aliases: Vec<AddressParts>,
    display_name: String,
    enabled: bool,
    quota: [Option<u64>; 3],
    send_as: Vec<u64>,
    full_access: Vec<u64>,
    smtp_sent_copy: bool,
    litigation_hold: bool,
    role: Role,
    created_ms: i64,
    /// Only from version 2 on, which is written where it is not 0.
    #[serde(skip)]
    credentials: u64,
    /// Only from version 3 on, which is written where it says something.
    #[serde(skip)]
    flow: FlowRow,
    /// Only in version 4, which is written where there are any.
    #[serde(skip)]
    attributes: Vec<(Attribute, String)>,
}

/// What happens to an account's mail.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct FlowRow {
    external: Option<AddressParts>,
    forwarding: Option<(AddressParts, bool)>,
    authenticated_only: bool,
    restrictions: RestrictionsRow,
    send_bytes_max: Option<u64>,
    recipients_max: Option<u32>,
}

impl From<&MailFlow> for FlowRow {
    fn from(flow: &MailFlow) -> Self {
        let forwarding = flow.forwarding.as_ref();
        Self {
            external: flow.external.as_ref().map(parts),
            forwarding: forwarding.map(|one| (parts(&one.to), one.keep_copy)),
            authenticated_only: flow.authenticated_only,
            restrictions: (&flow.restrictions).into(),
            send_bytes_max: flow.send_bytes_max,
            recipients_max: flow.recipients_max,
        }
    }
}

impl From<FlowRow> for MailFlow {
    fn from(row: FlowRow) -> Self {
        let forwarding = |(to, keep_copy)| Forwarding { to: address(to), keep_copy };
        Self {
            external: row.external.map(address),
            forwarding: row.forwarding.map(forwarding),
            authenticated_only: row.authenticated_only,
            restrictions: row.restrictions.into(),
            send_bytes_max: row.send_bytes_max,
            recipients_max: row.recipients_max,
        }
    }
}

/// Who may write to somebody, and how much.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct RestrictionsRow {
    accept_from: Vec<Party>,
    reject_from: Vec<Party>,
    receive_bytes_max: Option<u64>,
}

impl From<&Restrictions> for RestrictionsRow {
    fn from(restrictions: &Restrictions) -> Self {
        let Restrictions { accept_from, reject_from, receive_bytes_max } = restrictions.clone();
        Self { accept_from, reject_from, receive_bytes_max }
    }
}

impl From<RestrictionsRow> for Restrictions {
    fn from(row: RestrictionsRow) -> Self {
        let RestrictionsRow { accept_from, reject_from, receive_bytes_max } = row;
        Self { accept_from, reject_from, receive_bytes_max }
    }
}

/// Version 2 of an account is version 1 with how often the password was changed behind it.
const ACCOUNT_VERSION_2: u8 = 2;

/// Version 3 is version 2 with what happens to its mail behind it. Nodes that do not know it cannot
/// read the account at all: administrators can say nothing of mail flow before feature level 3.
const ACCOUNT_VERSION_3: u8 = 3;

/// Version 4 is version 3 with its attributes behind it; as that, from feature level 4 on.
const ACCOUNT_VERSION_4: u8 = 4;

impl Row for AccountRow {
    fn to_bytes(&self) -> Result<Bytes> {
        if !self.attributes.is_empty() {
            let row = (self, self.credentials, &self.flow, &self.attributes);
            return wire::encode_row(ACCOUNT_VERSION_4, &row);
        }
        match (self.credentials, &self.flow) {
            (changes, flow) if *flow != FlowRow::default() => {
                wire::encode_row(ACCOUNT_VERSION_3, &(self, changes, flow))
            }
            (0, _) => wire::encode_row(VERSION, self),
            (changes, _) => wire::encode_row(ACCOUNT_VERSION_2, &(self, changes)),
        }
    }

    fn from_bytes(key: &[u8], bytes: &[u8]) -> Result<Self> {
        let row = match bytes.first() {
            Some(&ACCOUNT_VERSION_4) => wire::decode_row(ACCOUNT_VERSION_4, bytes).map(
                |(row, credentials, flow, attributes): (Self, _, _, _)| Self {
                    credentials,
                    flow,
                    attributes,
                    ..row
                },
            ),
            Some(&ACCOUNT_VERSION_3) => wire::decode_row(ACCOUNT_VERSION_3, bytes)
                .map(|(row, credentials, flow): (Self, _, _)| Self { credentials, flow, ..row }),
            Some(&ACCOUNT_VERSION_2) => wire::decode_row(ACCOUNT_VERSION_2, bytes)
                .map(|(row, credentials): (Self, u64)| Self { credentials, ..row }),
            _ => wire::decode_row(VERSION, bytes),
        };
        row.map_err(|e| Error::corrupt(format!("row {}: {e}", key.escape_ascii())))
    }
}

impl From<&Account> for AccountRow {
    fn from(a: &Account) -> Self {
        let ids = |grants: &[AccountId]| grants.iter().map(|id| id.0).collect();
        Self {
            id: a.id.0,
            kind: a.kind,
            address: parts(&a.address),
            aliases: a.aliases.iter().map(parts).collect(),
            display_name: a.display_name.clone(),
            enabled: a.enabled,
            quota: [a.quota.warn_bytes, a.quota.no_send_bytes, a.quota.no_receive_bytes],
            send_as: ids(&a.send_as),
            full_access: ids(&a.full_access),
            smtp_sent_copy: a.smtp_sent_copy,
            litigation_hold: a.litigation_hold,
            role: a.role,
            created_ms: a.created.unix_ms,
            credentials: a.credentials,
            flow: FlowRow::from(&a.flow),
            attributes: a.attributes.iter().map(|(name, value)| (name, value.into())).collect(),
        }
    }
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        let ids = |grants: Vec<u64>| grants.into_iter().map(AccountId).collect();
        let [warn_bytes, no_send_bytes, no_receive_bytes] = row.quota;
        let mut attributes = Attributes::default();
        row.attributes.iter().for_each(|(name, value)| attributes.set(*name, value));
        Self {
            id: AccountId(row.id),
            kind: row.kind,
            address: address(row.address),
            aliases: row.aliases.into_iter().map(address).collect(),
            display_name: row.display_name,
            enabled: row.enabled,
            quota: Quota { warn_bytes, no_send_bytes, no_receive_bytes },
            send_as: ids(row.send_as),
            full_access: ids(row.full_access),
            smtp_sent_copy: row.smtp_sent_copy,
            litigation_hold: row.litigation_hold,
            role: row.role,
            created: Timestamp { unix_ms: row.created_ms },
            credentials: row.credentials,
            flow: row.flow.into(),
            attributes,
        }
    }
}

/// Whose an address is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Target {
    /// An account's.
    Account(AccountId),
    /// A group's.
    Group(GroupId),
}

/// What stands under an address.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct NameRow {
    pub(crate) target: Target,
    /// Whether it is the primary address; listing goes by these.
    pub(crate) primary: bool,
}

impl Row for NameRow {}

/// A password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PasswordRow {
    /// The hash in PHC string form.
    pub(crate) phc: String,
    /// The salt is shared with accounts provisioned by the same call: hashed anew with a salt of
    /// its own at the next sign-in.
    pub(crate) shared_salt: bool,
}

impl Row for PasswordRow {}

/// An accepted domain; its name is the key.
#[derive(Serialize, Deserialize)]
pub(crate) struct DomainRow {
    pub(crate) kind: DomainKind,
}

impl Row for DomainRow {}

impl DomainRow {
    pub(crate) fn domain(self, name: String, default: Option<&str>) -> Domain {
        let default = default == Some(name.as_str());
        Domain { name, kind: self.kind, default }
    }
}

/// A group without its members, which have rows of their own.
#[derive(Serialize, Deserialize)]
pub(crate) struct GroupRow {
    address: AddressParts,
    display_name: String,
    authenticated_only: bool,
    /// Only from version 2 on, which is written where it says something.
    #[serde(skip)]
    restrictions: RestrictionsRow,
    /// Only in version 3: a filter, and a domain.
    #[serde(skip)]
    dynamic: Option<DynamicRow>,
}

/// By what a dynamic group's members are found: a filter, and in which domain.
type DynamicRow = (String, Option<String>);

/// Version 2 of a group is version 1 with its restrictions behind it; as for accounts, from feature
/// level 3 on.
const GROUP_VERSION_2: u8 = 2;

/// Version 3 is version 2 with what a dynamic group has behind it; from feature level 4 on.
const GROUP_VERSION_3: u8 = 3;

impl Row for GroupRow {
    fn to_bytes(&self) -> Result<Bytes> {
        if let Some(dynamic) = &self.dynamic {
            return wire::encode_row(GROUP_VERSION_3, &(self, &self.restrictions, dynamic));
        }
        match &self.restrictions {
            none if *none == RestrictionsRow::default() => wire::encode_row(VERSION, self),
            restrictions => wire::encode_row(GROUP_VERSION_2, &(self, restrictions)),
        }
    }

    fn from_bytes(key: &[u8], bytes: &[u8]) -> Result<Self> {
        let row = match bytes.first() {
            Some(&GROUP_VERSION_3) => {
                wire::decode_row(GROUP_VERSION_3, bytes).map(|(row, restrictions, dynamic)| {
                    let (row, dynamic): (Self, DynamicRow) = (row, dynamic);
                    Self { restrictions, dynamic: Some(dynamic), ..row }
                })
            }
            Some(&GROUP_VERSION_2) => wire::decode_row(GROUP_VERSION_2, bytes)
                .map(|(row, restrictions): (Self, _)| Self { restrictions, ..row }),
            _ => wire::decode_row(VERSION, bytes),
        };
        row.map_err(|e| Error::corrupt(format!("row {}: {e}", key.escape_ascii())))
    }
}

impl From<&Group> for GroupRow {
    fn from(group: &Group) -> Self {
        Self {
            address: parts(&group.address),
            display_name: group.display_name.clone(),
            authenticated_only: group.authenticated_only,
            restrictions: (&group.restrictions).into(),
            dynamic: group.dynamic.clone().map(|Dynamic { filter, domain }| (filter, domain)),
        }
    }
}

impl GroupRow {
    pub(crate) fn group(self, id: GroupId, members: Vec<Address>) -> Group {
        Group {
            id,
            address: address(self.address),
            display_name: self.display_name,
            members,
            authenticated_only: self.authenticated_only,
            restrictions: self.restrictions.into(),
            dynamic: self.dynamic.map(|(filter, domain)| Dynamic { filter, domain }),
        }
    }
}

/// A member as it was written; its folded form is in the key.
#[derive(Serialize, Deserialize)]
pub(crate) struct MemberRow(AddressParts);

impl Row for MemberRow {}

impl MemberRow {
    pub(crate) fn new(member: &Address) -> Self {
        Self(parts(member))
    }

    pub(crate) fn address(self) -> Address {
        address(self.0)
    }
}

/// What one transaction changed, for the caches of all nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Changed {
    /// An account, its password or its addresses.
    Account(AccountId),
    /// A group, its address or its members.
    Group(GroupId),
    /// The accepted domains or the default among them.
    Domains,
}

/// One entry of the feed.
#[derive(Serialize, Deserialize)]
pub(crate) struct FeedRow {
    /// When, for trimming.
    pub(crate) at_ms: i64,
    /// What.
    pub(crate) changed: Vec<Changed>,
}

impl Row for FeedRow {}

/// That an operation was committed, and the id it was about.
#[derive(Serialize, Deserialize)]
pub(crate) struct MarkerRow {
    pub(crate) id: u64,
}

impl Row for MarkerRow {}

/// An id counter.
#[derive(Serialize, Deserialize)]
pub(crate) struct NextIdRow {
    pub(crate) next: u64,
}

impl Row for NextIdRow {}

/// An account that is gone; its mailbox remains to be swept.
#[derive(Serialize, Deserialize)]
pub(crate) struct RemovedRow {
    address: AddressParts,
    at_ms: i64,
}

impl Row for RemovedRow {}

impl RemovedRow {
    pub(crate) fn new(account: &Account, at: Timestamp) -> Self {
        Self { address: parts(&account.address), at_ms: at.unix_ms }
    }

    pub(crate) fn removed(self, id: AccountId) -> RemovedAccount {
        let removed = Timestamp { unix_ms: self.at_ms };
        RemovedAccount { id, address: address(self.address), removed }
    }
}

/// An audit record.
#[derive(Serialize, Deserialize)]
pub(crate) struct AuditRow {
    at_ms: i64,
    actor: Actor,
    action: String,
    target: String,
    parameters: String,
}

impl Row for AuditRow {}

impl AuditRow {
    /// Whether it was written before a moment.
    pub(crate) fn is_before(&self, ms: i64) -> bool {
        self.at_ms < ms
    }
}

impl From<AuditRecord> for AuditRow {
    fn from(record: AuditRecord) -> Self {
        let AuditRecord { at, actor, action, target, parameters } = record;
        Self { at_ms: at.unix_ms, actor, action, target, parameters }
    }
}

impl From<AuditRow> for AuditRecord {
    fn from(row: AuditRow) -> Self {
        let AuditRow { at_ms, actor, action, target, parameters } = row;
        Self { at: Timestamp { unix_ms: at_ms }, actor, action, target, parameters }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn version_1_bytes_never_change() {
        let account = Account {
            id: AccountId(7),
            kind: AccountKind::Room,
            address: Address::new("R", "x.t"),
            aliases: vec![Address::new("b", "x.t")],
            display_name: "Rö".into(),
            enabled: true,
            quota: Quota { warn_bytes: None, no_send_bytes: Some(300), no_receive_bytes: Some(1) },
            send_as: vec![AccountId(9)],
            full_access: vec![],
            smtp_sent_copy: false,
            litigation_hold: true,
            role: Role::OrganizationManagement,
            created: Timestamp { unix_ms: 5 },
            credentials: 0,
            flow: MailFlow::default(),
            attributes: Attributes::default(),
        };
        let bytes = AccountRow::from(&account).to_bytes().unwrap();
        let golden = b"\x01\x07\x02\x01R\x03x.t\x01\x01b\x03x.t\x03R\xc3\xb6\x01\
                       \x00\x01\xfb\x2c\x01\x01\x01\x01\x09\x00\x00\x01\x01\x0a";
        assert_eq!(bytes.escape_ascii().to_string(), golden.escape_ascii().to_string());
        let back = Account::from(AccountRow::from_bytes(b"k", &bytes).unwrap());
        assert_eq!(back, account);
        // Version 2 puts one number behind it.
        let changed = Account { credentials: 3, ..account };
        let later = AccountRow::from(&changed).to_bytes().unwrap();
        assert_eq!((later[0], &later[1..later.len() - 1]), (2, &bytes[1..]));
        assert_eq!(later.last(), Some(&3));
        assert_eq!(Account::from(AccountRow::from_bytes(b"k", &later).unwrap()), changed);
        // Version 3 puts what happens to mail behind that.
        let forwarding = Forwarding { to: Address::new("f", "y.t"), keep_copy: true };
        let restrictions = Restrictions {
            accept_from: vec![Party::Group(GroupId(3))],
            reject_from: vec![Party::Account(AccountId(4))],
            receive_bytes_max: Some(5),
        };
        let flow = MailFlow {
            external: None,
            forwarding: Some(forwarding),
            authenticated_only: true,
            restrictions: restrictions.clone(),
            send_bytes_max: None,
            recipients_max: Some(6),
        };
        let flowing = Account { flow, ..changed };
        let latest = AccountRow::from(&flowing).to_bytes().unwrap();
        let front = later.len();
        assert_eq!((latest[0], &latest[1..front]), (3, &later[1..]));
        let golden = b"\x00\x01\x01f\x03y.t\x01\x01\x01\x01\x03\x01\x00\x04\x01\x05\x00\x01\x06";
        let added = latest[front..].escape_ascii().to_string();
        assert_eq!(added, golden.escape_ascii().to_string());
        assert_eq!(Account::from(AccountRow::from_bytes(b"k", &latest).unwrap()), flowing);
        // Version 4 puts attributes behind that.
        let mut known = flowing;
        known.attributes.set(Attribute::Custom(15), "c");
        known.attributes.set(Attribute::Department, "d");
        let newest = AccountRow::from(&known).to_bytes().unwrap();
        let front = latest.len();
        assert_eq!((newest[0], &newest[1..front]), (4, &latest[1..]));
        assert_eq!(newest[front..], [2, 0, 1, b'd', 7, 15, 1, b'c']);
        assert_eq!(Account::from(AccountRow::from_bytes(b"k", &newest).unwrap()), known);
    }

    #[test]
    fn groups_have_restrictions_from_version_2_on() {
        let (address, id) = (Address::new("g", "x.t"), GroupId(3));
        let plain = Group {
            id,
            address,
            display_name: "G".into(),
            members: Vec::new(),
            authenticated_only: true,
            restrictions: Restrictions::default(),
            dynamic: None,
        };
        let bytes = GroupRow::from(&plain).to_bytes().unwrap();
        assert_eq!(bytes.escape_ascii().to_string(), r"\x01\x01g\x03x.t\x01G\x01");
        let read = |bytes: &[u8]| GroupRow::from_bytes(b"k", bytes).unwrap().group(id, Vec::new());
        assert_eq!(read(&bytes), plain);
        let reject_from = vec![Party::Account(AccountId(4))];
        let restrictions = Restrictions { reject_from, ..Restrictions::default() };
        let restricted = Group { restrictions, ..plain };
        let later = GroupRow::from(&restricted).to_bytes().unwrap();
        assert_eq!((later[0], &later[1..bytes.len()]), (2, &bytes[1..]));
        assert_eq!(later[bytes.len()..], [0, 1, 0, 4, 0]);
        assert_eq!(read(&later), restricted);
        // Version 3 puts behind that by what the members of a dynamic group are found.
        let dynamic = Some(Dynamic { filter: "f".into(), domain: Some("d".into()) });
        let dynamic = Group { dynamic, ..restricted };
        let latest = GroupRow::from(&dynamic).to_bytes().unwrap();
        assert_eq!((latest[0], &latest[1..later.len()]), (3, &later[1..]));
        assert_eq!(latest[later.len()..], [1, b'f', 1, 1, b'd']);
        assert_eq!(read(&latest), dynamic);
    }

    #[test]
    fn small_rows_keep_their_bytes() {
        let name = NameRow { target: Target::Group(GroupId(3)), primary: true };
        assert_eq!(&name.to_bytes().unwrap()[..], [1, 1, 3, 1]);
        let feed = FeedRow { at_ms: 1, changed: vec![Changed::Account(AccountId(4))] };
        assert_eq!(&feed.to_bytes().unwrap()[..], [1, 2, 1, 0, 4]);
        let password = PasswordRow { phc: "$a".into(), shared_salt: true };
        assert_eq!(&password.to_bytes().unwrap()[..], [1, 2, b'$', b'a', 1]);
        let error = NameRow::from_bytes(b"C/n", &[2, 0]).err().unwrap();
        assert!(error.detail.contains("C/n"), "{error}");
    }
}
