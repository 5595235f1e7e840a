//! Verifying the directory: that its rows can be read and say the same of one another.
//!
//! What one row says of another is read in the same transaction, so nothing looks wrong for being
//! changed meanwhile.

use crate::keys;
use crate::names::Name;
use crate::read::{ReadResult, Reader, view_by};
use crate::rows::{
    AccountRow, AuditRow, DomainRow, FeedRow, GroupRow, MemberRow, NameRow, PasswordRow,
    RemovedRow, Row, Target,
};
use base::{Address, Deadline, Kind, Result};
use bytes::Bytes;
use contract_directory::{Account, AccountKind, GroupId};
use contract_store::keys::KeyReader;
use contract_store::{BodyError, KeyRange, KeyValue, Store, StoreError};
use futures::FutureExt;
use std::sync::Arc;
use std::time::Duration;

/// How many rows one transaction checks.
const PAGE_ROWS: usize = 250;

/// How many problems a report spells out.
const PROBLEMS_MAX: usize = 100;

/// How long the store may take for one page. Nobody waits for an answer at once.
const PAGE_TIME: Duration = Duration::from_secs(60);

/// What the directory's rows say, and what is wrong with them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Accounts.
    pub accounts: u64,
    /// Groups.
    pub groups: u64,
    /// Addresses of both.
    pub addresses: u64,
    /// Members of all groups.
    pub members: u64,
    /// Entries of the feed.
    pub changes: u64,
    /// What does not fit, as sentences for an operator; the first hundred.
    pub problems: Vec<String>,
    /// How many problems there are.
    pub problem_count: u64,
}

impl Report {
    /// Whether everything fits.
    pub fn is_sound(&self) -> bool {
        self.problem_count == 0
    }

    fn problem(&mut self, text: String) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(text);
        }
    }

    fn count(&mut self, part: Part, rows: u64) {
        match part {
            Part::Accounts => self.accounts += rows,
            Part::Groups => self.groups += rows,
            Part::Names => self.addresses += rows,
            Part::Members => self.members += rows,
            Part::Feed => self.changes += rows,
            Part::Passwords | Part::Domains | Part::Removed | Part::Audit => {}
        }
    }
}

/// One kind of rows.
#[derive(Clone, Copy, Debug)]
enum Part {
    Names,
    Accounts,
    Passwords,
    Groups,
    Members,
    Domains,
    Removed,
    Feed,
    Audit,
}

const PARTS: [Part; 9] = [
    Part::Names,
    Part::Accounts,
    Part::Passwords,
    Part::Groups,
    Part::Members,
    Part::Domains,
    Part::Removed,
    Part::Feed,
    Part::Audit,
];

/// Some rows that were checked.
struct Page {
    rows: u64,
    problems: Vec<String>,
    next: Option<Bytes>,
}

/// Reads all rows of the directory and checks them: every address row points at an account or a
/// group that has the address, and the other way round; everything can be read. Changes nothing.
///
/// # Errors
/// The store's. Damaged rows are no error but problems of the report.
pub async fn verify(store: &Arc<dyn Store>) -> Result<Report> {
    let mut report = Report::default();
    for part in PARTS {
        let mut range = part.range();
        loop {
            let read = view_by(store, Deadline::after(PAGE_TIME), |reader| {
                page(reader, part, range.clone()).boxed()
            });
            let found = match read.await {
                Ok(found) => found,
                Err(error) if error.kind == Kind::Corrupt => {
                    report.problem(format!("{part:?} can be read no further: {error}"));
                    break;
                }
                Err(error) => return Err(error),
            };
            report.count(part, found.rows);
            found.problems.into_iter().for_each(|text| report.problem(text));
            match found.next {
                Some(begin) => range.begin = begin,
                None => break,
            }
        }
    }
    Ok(report)
}

impl Part {
    fn range(self) -> KeyRange {
        match self {
            Self::Names => keys::names(),
            Self::Accounts => keys::accounts(),
            Self::Passwords => keys::passwords(),
            Self::Groups => keys::groups(),
            Self::Members => keys::all_members(),
            Self::Domains => keys::domains(),
            Self::Removed => keys::all_removed(),
            Self::Feed => keys::feed(),
            Self::Audit => keys::audit(),
        }
    }
}

async fn page(reader: Reader<'_>, part: Part, range: KeyRange) -> ReadResult<Page> {
    reader.tx.set_batch_priority();
    let rows = reader.rows(&range, PAGE_ROWS, false).await?;
    let next = rows.last().filter(|_| rows.len() == PAGE_ROWS);
    let next = next.map(|row| KeyRange::single(&row.key).end);
    let mut problems = Vec::new();
    for row in &rows {
        let found = match check(reader, part, row).await {
            Ok(found) => found,
            Err(BodyError::Refused(error)) if error.kind == Kind::Corrupt => {
                vec![error.to_string()]
            }
            Err(BodyError::Store(error @ StoreError::Damaged { .. })) => vec![error.to_string()],
            Err(error) => return Err(error),
        };
        let key = row.key.escape_ascii();
        problems.extend(found.into_iter().map(|text| format!("the directory's row {key}: {text}")));
    }
    Ok(Page { rows: rows.len() as u64, problems, next })
}

/// What is wrong with one row.
async fn check(reader: Reader<'_>, part: Part, row: &KeyValue) -> ReadResult<Vec<String>> {
    let KeyValue { key, value } = row;
    match part {
        Part::Names => return name(reader, key, NameRow::from_bytes(key, value)?).await,
        Part::Accounts => {
            let account = Account::from(AccountRow::from_bytes(key, value)?);
            return self::account(reader, key, &account).await;
        }
        Part::Groups => return group(reader, key, GroupRow::from_bytes(key, value)?).await,
        Part::Members => return member(reader, key, MemberRow::from_bytes(key, value)?).await,
        Part::Passwords => {
            PasswordRow::from_bytes(key, value)?;
            let id = keys::password_id(key);
            let account = match id {
                Some(id) => reader.tx.get(&keys::account(id), reader.isolation()).await?,
                None => None,
            };
            let nobody = account.is_none().then(|| "it is of no account".to_owned());
            return Ok(nobody.into_iter().collect());
        }
        Part::Domains => readable::<DomainRow>(row)?,
        Part::Removed => readable::<RemovedRow>(row)?,
        Part::Feed => readable::<FeedRow>(row)?,
        Part::Audit => readable::<AuditRow>(row)?,
    }
    let is_stamped = match part {
        Part::Feed => keys::feed_stamp(key).is_some(),
        _ => true,
    };
    Ok(if is_stamped { Vec::new() } else { vec!["the key is none of a change".to_owned()] })
}

fn readable<R: Row>(row: &KeyValue) -> Result<()> {
    R::from_bytes(&row.key, &row.value).map(|_| ())
}

async fn name(reader: Reader<'_>, key: &Bytes, row: NameRow) -> ReadResult<Vec<String>> {
    let (whose, primary, all) = match row.target {
        Target::Account(id) => match reader.account(id).await? {
            Some(account) => {
                (id.to_string(), account.address.clone(), account.addresses().cloned().collect())
            }
            None => return Ok(vec![format!("it points at {id}, which is not there")]),
        },
        Target::Group(GroupId(id)) => {
            match reader.row::<GroupRow>(&keys::group(GroupId(id))).await? {
                Some(row) => {
                    let address = row.group(GroupId(id), Vec::new()).address;
                    (format!("group {id}"), address.clone(), vec![address])
                }
                None => return Ok(vec![format!("it points at group {id}, which is not there")]),
            }
        }
    };
    let all: Vec<Address> = all;
    let is_this = |address: &Address| name_key(address).as_ref() == Some(key);
    if !all.iter().any(is_this) {
        return Ok(vec![format!("it points at {whose}, which has not this address")]);
    }
    if is_this(&primary) != row.primary {
        return Ok(vec![format!("it is wrong about the primary address of {whose}")]);
    }
    Ok(Vec::new())
}

async fn account(reader: Reader<'_>, key: &Bytes, account: &Account) -> ReadResult<Vec<String>> {
    let mut problems = Vec::new();
    if keys::account(account.id) != *key {
        problems.push(format!("it is that of {}", account.id));
    }
    if account.kind == AccountKind::Contact {
        let order = Name::of(&account.address).map(|name| keys::contact_order(&name));
        let listed = match order {
            Some(order) => reader.tx.get(&order, reader.isolation()).await?.is_some(),
            None => false,
        };
        if !listed {
            problems.push("it is missing from the list of contacts".to_owned());
        }
    }
    for address in account.addresses() {
        problems.extend(belongs(reader, address, Target::Account(account.id)).await?);
    }
    Ok(problems)
}

async fn group(reader: Reader<'_>, key: &Bytes, row: GroupRow) -> ReadResult<Vec<String>> {
    let Some(id) = keys::group_id(key) else {
        return Ok(vec!["the key is none of a group".to_owned()]);
    };
    let group = row.group(id, Vec::new());
    let mut problems: Vec<_> =
        belongs(reader, &group.address, Target::Group(id)).await?.into_iter().collect();
    let order = Name::of(&group.address).map(|name| keys::group_order(&name));
    let listed = match order {
        Some(order) => reader.tx.get(&order, reader.isolation()).await?.is_some(),
        None => false,
    };
    if !listed {
        problems.push("it is missing from the list of groups".to_owned());
    }
    Ok(problems)
}

async fn member(reader: Reader<'_>, key: &Bytes, row: MemberRow) -> ReadResult<Vec<String>> {
    let id = KeyReader::new(key, &keys::all_members().begin).and_then(|mut rest| rest.u64());
    let (address, Some(id)) = (row.address(), id.map(GroupId)) else {
        return Ok(vec!["the key is none of a member".to_owned()]);
    };
    let Some(name) = Name::of(&address).filter(|name| keys::member(id, name) == *key) else {
        return Ok(vec![format!("it is that of {address}")]);
    };
    let mut problems = Vec::new();
    if reader.tx.get(&keys::group(id), reader.isolation()).await?.is_none() {
        problems.push(format!("there is no group {}", id.0));
    }
    if reader.tx.get(&keys::membership(&name, id), reader.isolation()).await?.is_none() {
        problems.push(format!("{address} does not know of this membership"));
    }
    Ok(problems)
}

/// What is wrong with the row of an address that should be somebody's.
async fn belongs(
    reader: Reader<'_>,
    address: &Address,
    target: Target,
) -> ReadResult<Option<String>> {
    let Some(name) = Name::of(address) else {
        return Ok(Some(format!("{address} can be nobody's address")));
    };
    Ok(match reader.name(&name).await? {
        Some(row) if row.target == target => None,
        Some(_) => Some(format!("its address {address} is somebody else's")),
        None => Some(format!("its address {address} has no row")),
    })
}

fn name_key(address: &Address) -> Option<Bytes> {
    Name::of(address).map(|name| keys::name(&name))
}
